#!/bin/sh
# Runs HAProxy, and has it read its files again when the content of a mounted Secret has changed. The
# configuration itself is read once: another one comes with another pod.
set -eu
secrets=$(for name in tls api-keys jwt; do [ ! -d /etc/vaka/$name ] || echo /etc/vaka/$name; done)

content() { find $secrets -type l -exec cat {} + 2>/dev/null | sha256sum; }
watch() {
    known=$(content)
    while sleep 5; do
        now=$(content)
        [ "$now" = "$known" ] || kill -USR2 $$
        known=$now
    done
}

cp /etc/vaka/config/haproxy.cfg /tmp/haproxy.cfg
[ -z "$secrets" ] || watch &
exec haproxy -W -db -f /tmp/haproxy.cfg -f /etc/vaka/config/state.cfg
