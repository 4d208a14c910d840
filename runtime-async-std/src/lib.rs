//! understudy-async-std
