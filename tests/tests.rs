//! The one integration binary; its modules are the rings of tests.

mod layers;
