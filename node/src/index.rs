//! The node's rebuildable index of orders and holds.
