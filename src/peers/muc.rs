//! The chat door: stanzas to requests, events to stanzas.
