//! understudy-std
