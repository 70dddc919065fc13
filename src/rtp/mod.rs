//! RTP and RTCP for one leg, sans-IO: headers, sessions, latching, key presses, statistics.
