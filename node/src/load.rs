//! A partner's client for the demo and the benchmark: sessions, buyers, histories.
