//! Owns: how often and when a model request is sent again (engine.md §2.4).
//! Invariant: at most `1 + request_max + stream_max` requests for one sampling request. The
//! reference multiplies the two counts (30 requests by default, engine.md §13 no. 24).
//! Never: decides whether an error may be retried at all (see errors).

use std::time::Duration;

use crate::limits;

/// The delay before the first retry; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(200);

/// Retries that are left to one sampling request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    request_max: u32,
    stream_max: u32,
    requests: u32,
    streams: u32,
}

impl Budget {
    /// Both counts are the provider's; each is cut to [`limits::RETRIES_MAX`].
    pub(crate) fn new(request_max: u32, stream_max: u32) -> Self {
        Self {
            request_max: request_max.min(limits::RETRIES_MAX),
            stream_max: stream_max.min(limits::RETRIES_MAX),
            requests: 0,
            streams: 0,
        }
    }

    /// Takes a silent retry, for a 5xx or a failure before the response head. Gives its number,
    /// from 1 on; none when they are used up, which a new stream attempt does not change.
    pub(crate) fn take_request(&mut self) -> Option<u32> {
        take(&mut self.requests, self.request_max)
    }

    /// Takes a retry that the client is told of. Gives its number, from 1 on, or none.
    pub(crate) fn take_stream(&mut self) -> Option<u32> {
        take(&mut self.streams, self.stream_max)
    }

    /// The number that `Reconnecting... {n}/{max}` ends with.
    pub(crate) fn stream_max(&self) -> u32 {
        self.stream_max
    }
}

fn take(used: &mut u32, max: u32) -> Option<u32> {
    if *used >= max {
        return None;
    }
    *used += 1;
    Some(*used)
}

/// Whether a response with this status is asked for again before anybody is told.
pub(crate) fn is_retried_silently(status: u16) -> bool {
    (500..600).contains(&status)
}

/// The pause before silent retry `n` (1-based); `jitter` is a factor near 1.
pub(crate) fn request_delay(n: u32, jitter: f64) -> Duration {
    doubled(n, jitter)
}

/// The pause before stream retry `n` (1-based): what the backend asked for, else as above.
pub(crate) fn stream_delay(n: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    asked.unwrap_or_else(|| doubled(n, jitter))
}

/// The text of the notice before stream retry `n`.
pub(crate) fn reconnecting(n: u32, max: u32) -> String {
    format!("Reconnecting... {n}/{max}")
}

fn doubled(n: u32, jitter: f64) -> Duration {
    let factor = 1u32.checked_shl(n.saturating_sub(1)).unwrap_or(u32::MAX);
    let delay = FIRST_DELAY
        .saturating_mul(factor)
        .min(limits::RETRY_DELAY_MAX);
    Duration::try_from_secs_f64(delay.as_secs_f64() * jitter).unwrap_or(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit() {
        let ms = |n| request_delay(n, 1.0).as_millis();
        assert_eq!([ms(1), ms(2), ms(3), ms(5)], [200, 400, 800, 3200]);
        for n in [20, 33, 100, u32::MAX] {
            assert_eq!(request_delay(n, 1.0), limits::RETRY_DELAY_MAX);
        }
        assert_eq!(stream_delay(1, None, 0.9), Duration::from_millis(180));
        let asked = Duration::from_millis(1500);
        assert_eq!(stream_delay(4, Some(asked), 1.05), asked);
        assert_eq!(request_delay(1, f64::NAN), Duration::from_millis(200));
    }

    #[test]
    fn the_budget_is_a_sum() {
        let mut budget = Budget::new(2, 1);
        let mut sent = 1;
        loop {
            if budget.take_request().is_some() || budget.take_stream().is_some() {
                sent += 1;
            } else {
                break;
            }
        }
        assert_eq!(sent, 4);
        assert_eq!(Budget::new(1000, 1000).stream_max(), limits::RETRIES_MAX);
        assert_eq!(reconnecting(1, budget.stream_max()), "Reconnecting... 1/1");
    }

    #[test]
    fn only_server_errors_are_retried_silently() {
        assert!([500, 502, 503, 599].into_iter().all(is_retried_silently));
        assert!(
            ![200, 400, 401, 404, 429, 600]
                .into_iter()
                .any(is_retried_silently)
        );
    }
}
