# Sourced by `check` and `demo`: installs Debian packages that are missing. Not a program of its own.

missing=()

# need PROGRAM PACKAGE...: without the program, the packages are missing.
need() {
    local program=$1
    shift
    command -v "$program" >/dev/null || missing+=("$@")
}

# install_missing yes|ask: installs them, after a question unless told `yes`.
install_missing() {
    [ ${#missing[@]} -eq 0 ] && return
    if ! command -v apt-get >/dev/null; then
        echo "missing: ${missing[*]} (names of Debian packages); this machine has no apt-get, so please install them by hand" >&2
        exit 1
    fi
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing: ${missing[*]}; please run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
            exit 1
        fi
        root=(sudo)
    fi
    if [ "$1" = ask ]; then
        read -r -p "Install with apt: ${missing[*]}? [y/N] " answer || answer=n
        case $answer in
            [yY]*) ;;
            *)
                echo "then please install them yourself, or run again with --yes" >&2
                exit 1
                ;;
        esac
    fi
    echo "== apt-get install ${missing[*]}"
    "${root[@]}" apt-get update -q
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# What building takes: a C compiler and cmake for libopus and SQLite, and Rust itself.
need_to_build() {
    if ! command -v cargo >/dev/null; then
        echo "missing: cargo; please install Rust, see https://rustup.rs" >&2
        exit 1
    fi
    need cc gcc libc6-dev
    need c++ g++
    need make make
    need cmake cmake
    need pkg-config pkg-config
}
