#!/bin/sh
# Runs HAProxy, and has it read its files again when the content of a mounted Secret has changed. The
# configuration itself is read once: another one comes with another pod.
set -u
secrets=$(for name in tls api-keys jwt; do [ ! -d /etc/vaka/$name ] || echo /etc/vaka/$name; done)

content() { find $secrets -type l -exec cat {} + 2>/dev/null | sha256sum; }
watch() {
    known=$(content)
    while sleep 5; do
        now=$(content)
        [ "$now" = "$known" ] || kill -USR2 "$haproxy"
        known=$now
    done
}

cp /etc/vaka/config/haproxy.cfg /tmp/haproxy.cfg || exit 1
haproxy -W -db -f /tmp/haproxy.cfg -f /etc/vaka/config/state.cfg &
haproxy=$!
# Finish what is in flight, then end. Told more than once, for one that reads its files anew may not hear it.
trap 'while kill -USR1 "$haproxy" 2>/dev/null; do sleep 1; done' USR1 TERM INT
[ -z "$secrets" ] || watch &  # no child of HAProxy's, for it would wait for this before it ends
# A signal breaks a wait off; once HAProxy is gone, there is nothing to wait for (127).
until wait "$haproxy"; code=$?; [ $code -le 128 ]; do :; done
[ $code -eq 127 ] || exit $code
