# For the tests of these workspaces: a docker-registry on loopback. To be sourced by bash.

# `start_registry PROGRAM DIRECTORY`: sets `address` to host:port and `registry` to the process, which the caller ends.
start_registry() {
  cat >"$2/registry.json" <<END
{"version": "0.1", "log": {"level": "info"}, "http": {"addr": "127.0.0.1:0", "secret": "of a test"},
 "storage": {"filesystem": {"rootdirectory": "$2/data"}}}
END
  mkfifo "$2/log"
  "$1" serve "$2/registry.json" >"$2/log" 2>&1 &
  registry=$!
  exec 3<"$2/log"
  address=
  while [ -z "$address" ] && read -r -u 3 line; do
    address=$(sed -n 's/.*listening on \(127[0-9.]*:[0-9]*\).*/\1/p' <<<"$line")
  done
  cat <&3 >/dev/null & # it goes on writing
  if [ -z "$address" ]; then
    echo "docker-registry does not start"
    exit 1
  fi
}

# `expect WHAT WANTED FOUND`
expect() {
  if [ "$2" != "$3" ]; then
    echo "$1: expected $2, found $3"
    exit 1
  fi
  echo "ok: $1"
}
