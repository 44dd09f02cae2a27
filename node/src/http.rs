//! The cluster API over HTTP.
