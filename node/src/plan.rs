//! Seating plans: the JSON format of seats.pretix.eu, read, checked, written, generated.
