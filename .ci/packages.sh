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

# What the bench beside another server takes.
need_for_peers() {
    need janus janus
    need espeak-ng espeak-ng
    need sox sox
    need taskset util-linux
    need setpriv util-linux
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
    # pesq is built from its source.
    [ -e "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h" ] || missing+=(python3-dev)
}

# pesq in a place of its own, from PyPI; the folder's name has the version, so that a new one is installed beside the old.
pesq() {
    local pesq=0.0.4 numpy=2.2.6
    local venv=$PWD/target/peers/pesq-$pesq
    if ! "$venv/bin/python" -c 'import pesq' 2>/dev/null; then
        echo "== pesq $pesq in $venv"
        python3 -m venv --clear "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check "pesq==$pesq" "numpy==$numpy"
    fi
    export CUSAX_PESQ_PYTHON=$venv/bin/python
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
