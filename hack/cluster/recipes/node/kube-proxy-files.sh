#!/bin/sh
# Run inside the node's base: a tar, on stdout, of what kube-proxy calls (iptables, nft,
# conntrack) with the libraries that they load. Its image needs nothing else of a distribution.
set -eu
cd /
programs=$(ls usr/sbin/iptables* usr/sbin/ip6tables* usr/sbin/xtables-*-multi \
    usr/sbin/nft usr/sbin/conntrack usr/sbin/ipset 2> /dev/null || true)
extensions=$(find usr/lib -type d -name xtables)
# Some of the programs are scripts, which ldd refuses.
libraries=$(for file in $programs $(find $extensions -name '*.so'); do
        ldd "$file" 2> /dev/null || true
    done \
    | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) print substr($i, 2) }' | sort -u)
# --dereference: alternatives are links to links. --hard-dereference: containerd 1.6 unpacks both.
tar --create --dereference --hard-dereference --file=- $programs $extensions $libraries
