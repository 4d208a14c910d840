//! understudy-tokio
