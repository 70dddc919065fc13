//! What users can do, through the public interfaces of more than one part.

mod muc;
