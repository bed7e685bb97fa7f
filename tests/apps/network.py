# SPDX-License-Identifier: MIT
"""The network as programs that people use meet it: over the loopback, and to this machine through a card."""

from concord.scenario import application


def two(configuration):
    return configuration.cpus == 2


@application(net=True, when=two)
def network_is_there_without_any_typing(guest):
    guest.shell("""
ip -4 -o address show dev lo | grep -o 'inet .* scope host'
ip -4 -o address show dev eth0 | grep -o 'inet .* scope global'
ip -4 route show
cat /etc/resolv.conf
getent ahostsv4 localhost | head -n 1 | tr -s ' '
getent hosts "$(hostname)" | tr -s ' '
ping -q -c 1 -W 5 10.0.2.2 | grep -o '1 received'
ip link show dev eth0 | grep -o 'state [A-Z]*'
ip neighbour show 10.0.2.2 | grep -o 'dev eth0 lladdr 52:55:0a:00:02:02'
""", stdout="""\
inet 127.0.0.1/8 scope host
inet 10.0.2.15/24 brd 10.0.2.255 scope global
default via 10.0.2.2 dev eth0 
10.0.2.0/24 dev eth0 proto kernel scope link src 10.0.2.15 
nameserver 10.0.2.3
127.0.0.1 STREAM localhost
127.0.0.1 localhost concord
1 received
state UP
dev eth0 lladdr 52:55:0a:00:02:02
""")


@application(net=True, when=two)
def ping_counts_and_measures(guest):
    guest.shell("""
ping -q -c 5 -i 0.01 127.0.0.1 | grep -o '5 packets transmitted, 5 received, 0% packet loss'
ping -q -c 1 -s 8000 127.1.2.3 | grep -o '8000(8028) bytes of data'
ping -c 1 127.0.0.1 | grep -o '64 bytes from 127.0.0.1: icmp_seq=1 ttl=64'
ping -q -c 3 -i 0.01 10.0.2.2 | grep -o '3 received'
busybox ping -q -c 1 127.0.0.1 | grep -o '0% packet loss'
echo 0 65534 >/proc/sys/net/ipv4/ping_group_range
setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all ping -q -c 1 127.0.0.1 | grep -o '1 received'
""", stdout="5 packets transmitted, 5 received, 0% packet loss\n8000(8028) bytes of data\n"
            "64 bytes from 127.0.0.1: icmp_seq=1 ttl=64\n3 received\n0% packet loss\n1 received\n")


@application(net=True, when=two)
def addresses_and_routes_are_changed(guest):
    guest.shell("""
ip address add 192.0.2.1/24 dev lo
ip -4 -o address show dev lo | grep -o '192.*'
ping -q -c 1 192.0.2.1 | grep -o '1 received'
ip route get 192.0.2.1 | head -n 1 | grep -o '^local 192.0.2.1 dev lo'
ip address add 192.0.2.1/24 dev lo 2>&1 | head -n 1 || true
ip route add 198.51.100.0/24 via 10.0.2.2 && ip route show 198.51.100.0/24
ip route get 198.51.100.7 | head -n 1 | grep -o 'via.*src 10.0.2.15'
ip route del 198.51.100.0/24 && ip route show 198.51.100.0/24
ip route add unreachable 198.51.100.0/24
ping -c 1 198.51.100.1 2>&1 | head -n 1
ip route del unreachable 198.51.100.0/24
ip address del 192.0.2.1/24 dev lo
ip -4 -o address show dev lo | grep -c 192.0.2 || true
""", stdout="""\
192.0.2.1/24 scope global lo\\       valid_lft forever preferred_lft forever
1 received
local 192.0.2.1 dev lo
RTNETLINK answers: File exists
198.51.100.0/24 via 10.0.2.2 dev eth0 
via 10.0.2.2 dev eth0 src 10.0.2.15
ping: connect: No route to host
0
""")


@application(net=True, when=two)
def datagrams_are_exchanged_by_netcat(guest):
    guest.shell("""
mkfifo /tmp/up
nc -u -l -W 1 127.0.0.1 7000 >/tmp/heard 2>/tmp/log & server=$!
until grep -q 1B58 /proc/net/udp; do :; done
echo 'a datagram' | nc -u -W 1 -w 1 127.0.0.1 7000 || true
wait $server
cat /tmp/heard
rm /tmp/up /tmp/heard /tmp/log
""", stdout="a datagram\n", seconds=60)


@application(image="test", net=True, when=two)
def routes_are_traced(guest):
    guest.shell("""
traceroute -n -q 1 127.0.0.1 | awk 'NR == 2 { print $1, $2 }'
traceroute -n -q 1 -I 127.0.0.1 | awk 'NR == 2 { print $1, $2 }'
""", stdout="1 127.0.0.1\n" * 2)
