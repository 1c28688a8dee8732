#!/bin/sh
# What kindnetd does in kind's official image: a route to every other node's pods by way of that
# node. /kind/pod-routes has a line "NODE POD-CIDR" for each node. The names are looked up again
# and again, because a node that was restarted may have another address.
# `pod-routes.sh once` sets the routes one time and ends.
set -u

routes() {
    self=$(hostname)
    while read -r node cidr; do
        [ "$node" = "$self" ] && continue
        address=$(getent ahostsv4 "$node" | awk '{ print $1; exit }')
        # A node that is down has no name now: its route stays as it was.
        [ -n "$address" ] && ip route replace "$cidr" via "$address"
    done < /kind/pod-routes
}

have_rule() {
    table="$1"
    shift
    iptables --wait --table "$table" --check "$@" 2> /dev/null \
        || iptables --wait --table "$table" --append "$@"
}

rules() {
    # Pods that talk to something outside the cluster do it under their node's address, as nobody
    # outside has a route back to them.
    pods=10.244.0.0/16
    have_rule nat POSTROUTING --source "$pods" ! --destination "$pods" --out-interface eth0 \
        -j MASQUERADE
    # A service's address that kube-proxy does not know (yet) is refused; it would otherwise leave
    # for the network around the machine, where something may even answer.
    for chain in FORWARD OUTPUT; do
        have_rule filter "$chain" --destination 10.96.0.0/16 --out-interface eth0 -j REJECT
    done
}

while :; do
    if [ -e /kind/pod-routes ]; then
        routes
        rules
    fi
    [ "${1:-}" = once ] && exit 0
    sleep 5
done
