# SPDX-License-Identifier: MIT
"""The network as programs that people use meet it: over the loopback, and to this machine through a card."""

import hashlib
import http.client
import os
import tempfile

from concord import peers
from concord.scenario import HOST, Failed, Skip, application


def two(configuration):
    return configuration.cpus == 2


MIB = 1 << 20
DATA = hashlib.shake_256(b"concord").digest(10 * MIB)
DIGEST = hashlib.sha256(DATA).hexdigest()


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


@application(net=True, when=two)
def requests_go_to_a_server_over_http(guest):
    with peers.Web({"/data": DATA}) as web:
        at = f"http://{HOST}:{web.port}"
        guest.shell(f"""
curl -sS {at}/data | sha256sum
wget -q -O - {at}/data | sha256sum
busybox wget -q -O - {at}/data | sha256sum
curl -sS -o /dev/null -w '%{{http_code}} %{{num_connects}}\\n' {at}/data {at}/none
curl -sS -o /tmp/data {at}/data && curl -sS -T /tmp/data {at}/put && wget -q -O - --post-file=/tmp/data {at}/post
rm /tmp/data
""", stdout=f"{DIGEST}  -\n" * 3 + "200 1\n404 0\n")
        if web.received != {"/put": DIGEST, "/post": DIGEST}:
            raise Failed(f"the server received {web.received}, not {DIGEST} twice")


@application(net=True, when=two)
def requests_go_to_a_server_over_https(guest):
    made = guest.shell(f"""
cd /tmp && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \\
    -subj /CN=test -addext subjectAltName=IP:{HOST} -keyout key.pem -out certificate.pem 2>/dev/null
cat key.pem certificate.pem
""")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "server.pem")
        with open(path, "wb") as file:
            file.write(made.stdout)
        with peers.Web({"/data": DATA}, path) as web:
            at = f"https://{HOST}:{web.port}"
            guest.shell(f"""
curl -sS --cacert /tmp/certificate.pem {at}/data | sha256sum
wget -q -O - --ca-certificate=/tmp/certificate.pem {at}/data | sha256sum
curl -sS {at}/data 2>&1 | grep -o 'curl: (60)'
curl -sS --cacert /tmp/certificate.pem {at}/data | curl -sS --cacert /tmp/certificate.pem -T - -H 'Transfer-Encoding:' -H 'Content-Length: {len(DATA)}' {at}/put
rm /tmp/certificate.pem /tmp/key.pem
""", stdout=f"{DIGEST}  -\n" * 2 + "curl: (60)\n")
            if web.received != {"/put": DIGEST}:
                raise Failed(f"the server received {web.received}, not {DIGEST}")


@application(net=True, when=two)
def a_server_in_the_guest_is_reached_from_here(guest):
    guest.shell("""
mkdir -p /tmp/www && cd /tmp/www && head -c 3000000 /dev/urandom >data && echo hello >index.html
busybox httpd -p 80 -h /tmp/www
sha256sum <data
""")
    wanted = guest.shell("sha256sum </tmp/www/data").stdout.split()[0].decode()
    for path, check in (("/", lambda data: data == b"hello\n"),
                        ("/data", lambda data: hashlib.sha256(data).hexdigest() == wanted)):
        connection = http.client.HTTPConnection("127.0.0.1", guest.ports[80], timeout=60)
        connection.request("GET", path)
        if not check(connection.getresponse().read()):
            raise Failed(f"{path} did not come as it is")
        connection.close()
    guest.shell("rm -r /tmp/www")


@application(net=True, when=two)
def git_clones_over_http(guest):
    guest.shell("""
mkdir -p /tmp/www/cgi-bin && cd /tmp/www
git init -q --bare repository.git
cat >cgi-bin/git <<'END'
#!/bin/sh
export GIT_PROJECT_ROOT=/tmp/www GIT_HTTP_EXPORT_ALL=1
exec /usr/lib/git-core/git-http-backend
END
chmod +x cgi-bin/git
busybox httpd -p 127.0.0.1:8080 -h /tmp/www
git init -q -b main /tmp/tree && cd /tmp/tree && cp -r /usr/include/linux . && git add .
git -c user.name=test -c user.email=test@localhost commit -q -m tree
git push -q /tmp/www/repository.git main
git clone -q -b main http://127.0.0.1:8080/cgi-bin/git/repository.git /tmp/clone
diff -r /usr/include/linux /tmp/clone/linux && echo same
rm -r /tmp/www /tmp/tree /tmp/clone
""", stdout="same\n")


@application(image="test", net=True, when=two)
def routes_are_traced(guest):
    guest.shell("""
traceroute -n -q 1 127.0.0.1 | awk 'NR == 2 { print $1, $2 }'
traceroute -n -q 1 -I 127.0.0.1 | awk 'NR == 2 { print $1, $2 }'
traceroute -n -q 1 -T -p 9 127.0.0.1 | awk 'NR == 2 { print $1, $2 }'
""", stdout="1 127.0.0.1\n" * 3)


@application(image="test", net=True, when=two)
def ports_are_scanned(guest):
    guest.shell("""
busybox httpd -p 127.0.0.1:8080 -h /etc
nmap -n -Pn -sT -p 8079-8081 127.0.0.1 | grep '^80'
""", stdout="8079/tcp closed unknown\n8080/tcp open   http-proxy\n8081/tcp closed blackice-icecap\n")


@application(image="test", net=True, when=two)
def socat_joins_sockets(guest):
    guest.shell("""
cd /tmp
socat -t 60 TCP-LISTEN:7001,bind=127.0.0.1,reuseaddr EXEC:'tr a-z A-Z' & first=$!
socat -t 60 UNIX-LISTEN:/tmp/joint TCP:127.0.0.1:7001,retry=50,interval=0.1 & second=$!
until [ -S /tmp/joint ]; do :; done
echo 'through two sockets' | socat -t 60 - UNIX-CONNECT:/tmp/joint
wait $first $second
socat -u UDP-RECV:7002,bind=127.0.0.1 OPEN:/tmp/came,creat & third=$!
until grep -q 1B5A /proc/net/udp; do :; done
echo datagram | socat -u - UDP:127.0.0.1:7002
until [ -s /tmp/came ]; do :; done
kill $third; wait $third || true
cat /tmp/came; rm /tmp/came
""", stdout="THROUGH TWO SOCKETS\ndatagram\n")


@application(image="test", net=True, seconds=300, when=lambda c: two(c) and c.placement == "kernel")
def packages_are_installed(guest):
    """Needs a mirror of Debian that QEMU's user network reaches."""
    reached = guest.run(["bash", "-c", "exec 3<>/dev/tcp/deb.debian.org/80"], seconds=30)
    if reached.status:
        raise Skip("deb.debian.org is not reached from here: " + reached.stderr.decode().splitlines()[-1])
    guest.shell("""
apt-get -q -q update
DEBIAN_FRONTEND=noninteractive apt-get -q -q install -y --no-install-recommends hello >/dev/null
hello
""", stdout="Hello, world!\n")
