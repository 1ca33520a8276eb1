# shellcheck shell=bash disable=SC2034
# What the scripts here share: words to the person, finding Python, installing Debian packages. Sourced, not run.

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$PROJECT/.venv
CACHE=$PROJECT/.cache

if [ -t 1 ]; then BOLD=$'\e[1m' RED=$'\e[31m' PLAIN=$'\e[0m'; else BOLD='' RED='' PLAIN=''; fi

say() { printf '%s\n' "$*"; }
heading() { printf '\n%s== %s ==%s\n' "$BOLD" "$*" "$PLAIN"; }
fail() { printf '%s%s%s\n' "$RED" "$*" "$PLAIN" >&2; exit 1; }

# quietly LOG COMMAND…: run it with its output in a file; show the file's end when it fails (addresses left out).
quietly() {
  local log=$1; shift
  mkdir -p "$(dirname "$log")"
  "$@" > "$log" 2>&1 && return 0
  tail -n 25 "$log" | sed -E 's#https?://[^ /]+#<mirror>#g' >&2
  return 1
}

# as_root COMMAND…: run it as root, directly or by sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo > /dev/null && sudo -n true 2> /dev/null; then sudo "$@"
  elif command -v sudo > /dev/null && [ -t 0 ]; then sudo "$@"
  else return 126
  fi
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2> /dev/null)" = installed ]; }

# need_packages PACKAGE…: install the Debian packages that are missing; services that come with them are not started.
need_packages() {
  command -v dpkg-query > /dev/null || fail "This needs a Debian or Ubuntu machine; elsewhere install the like of: $*"
  local package missing=() guard=/usr/sbin/policy-rc.d guarded=0 status=0
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "Installing Debian packages: ${missing[*]}"
  if [ "$(id -u)" != 0 ] && ! command -v sudo > /dev/null; then
    fail "Not root, and there is no sudo. As root, run: apt-get install ${missing[*]}"
  fi
  # Package scripts ask this program whether they may start a service: here, none may.
  if [ ! -e $guard ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $guard > /dev/null && as_root chmod 755 $guard && guarded=1
  fi
  local get=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq -y)
  if ! quietly "$CACHE/apt-install.log" as_root "${get[@]}" install --no-install-recommends "${missing[@]}" 2> /dev/null; then
    say "  refreshing the package lists first"
    { quietly "$CACHE/apt-update.log" as_root "${get[@]}" update || true; } &&
      quietly "$CACHE/apt-install.log" as_root "${get[@]}" install --no-install-recommends "${missing[@]}" || status=1
  fi
  [ $guarded = 0 ] || as_root rm -f $guard
  [ $status = 0 ] || fail "The packages could not be installed (the whole output: .cache/apt-install.log)."
  keep_stopped "${missing[@]}"
}

# need_known_packages PACKAGE…: the same, for those of them that this release has.
need_known_packages() {
  local package known=()
  for package in "$@"; do
    if apt-cache show "$package" > /dev/null 2>&1; then known+=("$package"); else say "This release has no package $package"; fi
  done
  [ ${#known[@]} = 0 ] || need_packages "${known[@]}"
}

# keep_stopped PACKAGE…: services that came with a package just installed don't start with the machine either.
keep_stopped() {
  command -v systemctl > /dev/null || return 0
  case " $* " in *' libvirt-daemon-system '*)
    as_root systemctl --quiet disable libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket \
      virtlogd.socket virtlockd.socket libvirt-guests.service 2> /dev/null || true ;;
  esac
  case " $* " in *' postgresql '*) as_root systemctl --quiet disable postgresql.service 2> /dev/null || true ;; esac
  case " $* " in *' prometheus-libvirt-exporter '*) as_root systemctl --quiet disable prometheus-libvirt-exporter.service 2> /dev/null || true ;; esac
}

good_python() { "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2> /dev/null; }

makes_venv() { "$1" -c 'import ensurepip, venv' 2> /dev/null; }

# find_python: print a Python of 3.11 or newer; install one where Debian or Ubuntu offers it.
find_python() {
  local name
  # The distribution's own is built with profile-guided optimisation: a fifth faster than one compiled by hand.
  if good_python /usr/bin/python3 && { makes_venv /usr/bin/python3 || { (need_packages python3-venv) >&2 && makes_venv /usr/bin/python3; }; }; then
    echo /usr/bin/python3; return
  fi
  for name in python3 python3.13 python3.12 python3.11; do
    if command -v "$name" > /dev/null && good_python "$name"; then command -v "$name"; return; fi
  done
  need_packages python3.11 python3.11-venv >&2
  command -v python3.11 || fail "No Python 3.11 or newer was found."
}
