# An HTTP server of one line, for containers without Python: `perl serve.pl PORT [HOST PORT]`.
# Answers 200 on any path; with a server behind it, only if that one answers, else 503.
use strict;
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my ($port, @behind) = @ARGV;
my $server = IO::Socket::INET->new(LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "cannot listen: $!";
while (my $client = $server->accept) {
    $client->timeout(5);
    while (my $line = <$client>) {
        next unless $line eq "\r\n";
        my $good = !@behind || ask(@behind);
        print $client "HTTP/1.1 ", ($good ? "200 OK" : "503 Unavailable");
        print $client "\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        last;
    }
    close $client;
}

sub ask {
    my ($host, $port) = @_;
    my $peer = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 1) or return 0;
    print $peer "GET / HTTP/1.1\r\nHost: $host\r\n\r\n";
    my $answer = <$peer>;
    return defined $answer && $answer =~ / 200 /;
}
