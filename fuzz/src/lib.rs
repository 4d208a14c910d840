//! understudy-fuzz
