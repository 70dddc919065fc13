//! Media threads: sockets, ticks, and the cores that run on them.
