//! Trying again what may succeed a moment later.

use std::thread;
use std::time::Duration;

use super::HttpError;

/// How often, and after which pauses; each pause is twice the one before.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    pub attempts: u32,
    pub first_pause: Duration,
    /// No pause is longer, whatever the server asks for.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 6, first_pause: Duration::from_millis(250), longest_pause: Duration::from_secs(20) }
    }
}

/// An error that may carry one of this room.
pub trait Retryable: From<HttpError> {
    /// The failure of the network that it is, or itself back.
    fn into_http(self) -> Result<HttpError, Self>;
}

impl Retryable for HttpError {
    fn into_http(self) -> Result<HttpError, Self> {
        Ok(self)
    }
}

impl Retry {
    /// Calls `attempt` until it succeeds, fails for good, or has failed too often.
    pub fn run<T, E: Retryable>(&self, mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        let mut tried = 0;
        loop {
            let error = match attempt() {
                Ok(done) => return Ok(done),
                Err(error) => error.into_http()?,
            };
            tried += 1;
            self.wait(tried, error)?;
        }
    }

    /// Pauses after the `tried`th attempt failed with `error`; gives the error back when another makes no sense.
    pub fn wait(&self, tried: u32, error: HttpError) -> Result<(), HttpError> {
        if !error.is_transient() {
            return Err(error);
        }
        if tried >= self.attempts {
            return Err(HttpError::GivenUp { attempts: tried, last: Box::new(error) });
        }
        let asked = match &error {
            HttpError::Status { retry_after, .. } => *retry_after,
            _ => None,
        };
        let pause = self.first_pause * 2u32.saturating_pow(tried.saturating_sub(1));
        thread::sleep(pause.max(asked.unwrap_or_default()).min(self.longest_pause));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Retry =
        Retry { attempts: 3, first_pause: Duration::from_millis(1), longest_pause: Duration::from_millis(5) };

    fn refused(status: u16) -> HttpError {
        let url = "http://example/".parse().unwrap();
        let retry_after = Some(Duration::from_secs(3600));
        HttpError::Status { url, status: reqwest::StatusCode::from_u16(status).unwrap(), retry_after }
    }

    #[test]
    fn what_is_transient_is_tried_again_and_a_long_retry_after_is_cut() {
        let mut left = 2;
        let done = QUICK.run(|| {
            left -= 1;
            if left > 0 { Err(refused(503)) } else { Ok(left) }
        });
        assert_eq!(done.unwrap(), 0);
    }

    #[test]
    fn what_is_for_good_is_told_at_once_and_the_rest_with_the_attempts() {
        let mut calls = 0;
        let error = QUICK.run::<(), _>(|| {
            calls += 1;
            Err(refused(404))
        });
        assert!(error.unwrap_err().is_not_found() && calls == 1);
        let error = QUICK.run::<(), _>(|| Err(refused(429))).unwrap_err().to_string();
        assert_eq!(error, "3 attempts failed, the last one so: http://example/ answered 429 Too Many Requests");
    }
}
