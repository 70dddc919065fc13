//! What was typed, what the file says, and the checked configuration.
