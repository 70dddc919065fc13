//! The system calls of a media thread that std lacks: epoll, eventfd, timerfd, when packets came, and the limit on open files.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicBool, Ordering, fence},
    time::Duration,
};

/// Descriptors whose readiness one wait tells; more stay ready for the next.
const EVENTS: usize = 256;

/// Turns the -1 of a system call into its error.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes ownership of a descriptor that a system call has just made.
fn owned(result: libc::c_int) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    // SAFETY: the kernel has just given this descriptor to us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits for sockets, each known by a token.
pub(super) struct Epoll {
    fd: OwnedFd,
    events: Box<[libc::epoll_event; EVENTS]>,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let fd = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Self {
            fd,
            events: Box::new([libc::epoll_event { events: 0, u64: 0 }; EVENTS]),
        })
    }

    /// Watches for input, level-triggered: what a budget leaves unread is told again.
    pub(super) fn add(&self, fd: &impl AsFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: token,
        };
        // SAFETY: the kernel reads `event` during the call only.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_fd().as_raw_fd(), &raw mut event) })?;
        Ok(())
    }

    pub(super) fn remove(&self, fd: &impl AsFd) -> io::Result<()> {
        // SAFETY: a null event is allowed for removal since Linux 2.6.9.
        check(unsafe {
            libc::epoll_ctl(
                self.fd.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                fd.as_fd().as_raw_fd(),
                std::ptr::null_mut(),
            )
        })?;
        Ok(())
    }

    /// Waits until something is ready; the tokens are then at [`Self::token`].
    pub(super) fn wait(&mut self) -> io::Result<usize> {
        self.look(-1)
    }

    /// The same without waiting.
    pub(super) fn ready(&mut self) -> io::Result<usize> {
        self.look(0)
    }

    fn look(&mut self, timeout_ms: libc::c_int) -> io::Result<usize> {
        // SAFETY: the kernel writes at most EVENTS entries into `events`, which has that many.
        let ready = check(unsafe { libc::epoll_wait(self.fd.as_raw_fd(), self.events.as_mut_ptr(), EVENTS as i32, timeout_ms) })?;
        Ok(ready as usize)
    }

    /// The token of one ready descriptor.
    pub(super) fn token(&self, index: usize) -> u64 {
        self.events[index].u64
    }
}

impl std::fmt::Debug for Epoll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Epoll").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// Wakes a media thread from another one, while nothing else does.
#[derive(Debug)]
pub(super) struct Wake {
    file: File,
    /// The thread's ticker stands still.
    needed: AtomicBool,
}

impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let fd = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        Ok(Self {
            file: fd.into(),
            needed: AtomicBool::new(true),
        })
    }

    /// To be called behind whatever is to be noticed. Never waits: a full counter is a wake-up that is still to be noticed.
    pub(super) fn wake(&self) {
        // With the one in `rest`: either we see that it is needed, or the thread sees what we have put before it.
        fence(Ordering::SeqCst);
        if self.needed.load(Ordering::SeqCst) {
            let _ = (&self.file).write(&1u64.to_ne_bytes());
        }
    }

    /// Whether the thread has to be woken from now on. It has to look once more before it waits.
    pub(super) fn rest(&self, needed: bool) {
        self.needed.store(needed, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Takes all wake-ups so far.
    pub(super) fn clear(&self) {
        let _ = (&self.file).read(&mut [0; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Becomes readable at a steady pace.
#[derive(Debug)]
pub(super) struct Ticker {
    file: File,
    period: Duration,
}

impl Ticker {
    /// Starts disarmed.
    pub(super) fn new(period: Duration) -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let fd = owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) })?;
        Ok(Self { file: fd.into(), period })
    }

    /// Lets it run, or stops it.
    pub(super) fn arm(&self, on: bool) -> io::Result<()> {
        let period = if on { self.period } else { Duration::ZERO };
        let spec = libc::timespec {
            tv_sec: period.as_secs() as libc::time_t,
            tv_nsec: period.subsec_nanos().into(),
        };
        let timer = libc::itimerspec {
            it_interval: spec,
            it_value: spec,
        };
        // SAFETY: the kernel reads `timer` during the call only, and a null old value is allowed.
        check(unsafe { libc::timerfd_settime(self.file.as_raw_fd(), 0, &raw const timer, std::ptr::null_mut()) })?;
        Ok(())
    }

    /// How many periods ended since the last call.
    pub(super) fn elapsed(&self) -> u64 {
        let mut count = [0; 8];
        match (&self.file).read(&mut count) {
            Ok(8) => u64::from_ne_bytes(count),
            Ok(_) | Err(_) => 0,
        }
    }
}

impl AsFd for Ticker {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// How many descriptors this process may open: now, and if it raises the limit as far as it may.
pub(super) fn open_file_limits() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes `limit` during the call only.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Raises the soft limit on open files to the hard one; gives the new soft limit.
pub(super) fn raise_open_file_limit() -> io::Result<u64> {
    let (soft, hard) = open_file_limits()?;
    if soft < hard {
        let limit = libc::rlimit {
            rlim_cur: hard,
            rlim_max: hard,
        };
        // SAFETY: the kernel reads `limit` during the call only.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    }
    Ok(hard)
}

/// Lets a socket tell with each datagram when it came (socket(7), `SO_TIMESTAMPNS`).
pub(super) fn stamp(socket: &impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads `on`, of the size told, during the call only.
    check(unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// A descriptor's number, to be named in a later call on the same thread.
pub(super) fn number(fd: &impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}

/// Counts what a thread allocates and frees, for the test of rule R71.
#[cfg(test)]
pub(super) mod memory {
    use std::{
        alloc::{GlobalAlloc, Layout, System},
        cell::Cell,
    };

    struct Counting;

    #[global_allocator]
    static COUNTING: Counting = Counting;

    thread_local! {
        static CALLS: Cell<u64> = const { Cell::new(0) };
    }

    fn count() {
        // Fails only while the thread ends.
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    }

    // SAFETY: everything is passed to the system's allocator unchanged; counting touches no memory of its own.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count();
            // SAFETY: the caller's promises are passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            count();
            // SAFETY: the caller's promises are passed on.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            count();
            // SAFETY: the caller's promises are passed on.
            unsafe { System.realloc(ptr, layout, size) }
        }

        unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
            count();
            // SAFETY: the caller's promises are passed on.
            unsafe { System.dealloc(ptr, layout) }
        }
    }

    /// How often this thread allocates or frees in `body`.
    pub(in super::super) fn calls(body: impl FnOnce()) -> u64 {
        let before = CALLS.get();
        body();
        CALLS.get() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_is_told_until_cleared_and_the_ticker_counts() {
        let (mut epoll, wake, ticker) = (
            Epoll::new().expect("epoll"),
            Wake::new().expect("eventfd"),
            Ticker::new(Duration::from_millis(1)).expect("timerfd"),
        );
        epoll.add(&wake, 7).expect("added");
        epoll.add(&ticker, 8).expect("added");
        wake.wake();
        wake.wake();
        assert_eq!(epoll.wait().expect("ready"), 1);
        assert_eq!(epoll.token(0), 7);
        wake.clear();
        wake.rest(false);
        wake.wake();
        assert_eq!(epoll.ready().expect("looked"), 0, "whoever ticks isn't woken");
        assert_eq!(ticker.elapsed(), 0, "disarmed");
        ticker.arm(true).expect("armed");
        assert_eq!(epoll.wait().expect("ready"), 1);
        assert_eq!(epoll.token(0), 8);
        assert!(ticker.elapsed() >= 1);
    }

    #[test]
    fn r46_the_soft_limit_is_raised_to_the_hard_one() {
        let raised = raise_open_file_limit().expect("raised");
        assert_eq!(open_file_limits().expect("limits").0, raised);
    }
}
