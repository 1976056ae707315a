#!/bin/sh
# Prints the path of an hledger: one on PATH, or Debian's own, fetched without root into build/hledger. Nothing is
# installed: apt only downloads, and dpkg unpacks the program and those of its libraries that are not here.
set -eu

cd "$(dirname "$0")/.."
directory=build/hledger
program=$directory/usr/bin/hledger

fail() {
    printf 'hledger: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '         %s\n' "$line" >&2; done
    exit 1
}

# The libraries that were unpacked beside it are found before those of the system.
libraries() { find "$directory" -type d -path '*/lib/*' 2>/dev/null | tr '\n' ':'; }

lacks_libraries() { LD_LIBRARY_PATH=$(libraries) ldd "$program" 2>/dev/null | awk '/not found/ {print $1}'; }

# apt needs lists of its own where those of the system are missing or not to be written.
fetch() {
    (cd "$directory/packages" && apt-get download "$@" >>../log 2>&1) && return
    mkdir -p "$directory/apt/lists/partial" "$directory/apt/cache/archives/partial"
    here=$PWD/$directory
    set -- -o "Dir::State::lists=$here/apt/lists" -o "Dir::Cache=$here/apt/cache" "$@"
    options="-o Dir::State::lists=$here/apt/lists -o Dir::Cache=$here/apt/cache -o APT::Sandbox::User="
    shift 4
    # shellcheck disable=SC2086 # The options are words of ours without blanks in them.
    (cd "$directory/packages" && apt-get $options update >>../log 2>&1 &&
        apt-get $options download "$@" >>../log 2>&1)
}

unpack() {
    for package in "$directory"/packages/*.deb; do
        [ -e "$package" ] || continue
        dpkg -x "$package" "$directory"
        rm "$package"
    done
}

if command -v hledger >/dev/null 2>&1; then
    command -v hledger
    exit
fi
wrapper=$PWD/$directory/hledger
if [ -x "$wrapper" ] && "$wrapper" --version >/dev/null 2>&1; then
    echo "$wrapper"
    exit
fi
command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 ||
    fail "there is none on PATH, and this is no Debian to fetch it from." "See https://hledger.org/install."
rm -rf "$directory"
mkdir -p "$directory/packages"
fetch hledger || fail "apt could not download it; its words are in $directory/log."
unpack
for library in $(lacks_libraries); do
    # libgmp.so.10 is in libgmp10, libtinfo.so.6 in libtinfo6: Debian names packages so.
    fetch "$(echo "$library" | sed 's/\.so\.//')" || fail "$library is missing, and apt could not download it."
done
unpack
cat >"$wrapper" <<END
#!/bin/sh
LD_LIBRARY_PATH='$(libraries | sed "s|$directory|$PWD/$directory|g")'\${LD_LIBRARY_PATH:-} exec '$PWD/$program' "\$@"
END
chmod +x "$wrapper"
"$wrapper" --version >/dev/null 2>&1 || fail "what apt gave does not start; see $directory/log."
echo "$wrapper"
