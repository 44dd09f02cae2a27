//! Takes partners' calls on any node and brings them, in batches, to the sale's owner.
