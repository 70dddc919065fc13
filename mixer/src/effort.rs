//! How much work a mixer may do.

/// What a mixer spends on its legs; may change between any two ticks, as the thread has time or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Opus encoders' complexity, from 0 to 10. At 5 a frame costs about two thirds of 10.
    pub complexity: u8,
    /// Legs that are heard together at most: the loudest (rule R65). No more than 15, which is how many a packet can name (RFC 3550
    /// section 5.1).
    pub voices: u8,
}

impl Default for Effort {
    /// Sounds well, and leaves a busy thread time.
    fn default() -> Self {
        Self { complexity: 5, voices: 4 }
    }
}
