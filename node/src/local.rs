//! Local clusters of real node processes for the demo, the benchmark and tests.
