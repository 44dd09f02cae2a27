//! The partners' gRPC services: authenticate, convert, hand to the gateway, convert back.
