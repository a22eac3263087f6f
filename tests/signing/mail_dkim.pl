#!/usr/bin/perl
# Verify the messages named on the command line with Mail::DKIM. The first argument is a file of public records
# ("name text" on each line) that stands in place of DNS. One line for each signature: file, selector, result.
use strict;
use warnings;
use Mail::DKIM::Verifier;
use Net::DNS;

my $records_file = shift @ARGV;
my %records;
open(my $in, '<', $records_file) or die "$records_file: $!";
while (my $line = <$in>) {
    chomp $line;
    my ($name, $text) = split(/ /, $line, 2);
    $records{$name} = $text;
}
close($in);

{
    no warnings 'redefine';
    *Mail::DKIM::DNS::query = sub {
        my ($name, $type) = @_;
        my $text = $records{$name};
        return () unless defined $text;
        my @strings = $text =~ /(.{1,255})/gs;
        return Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => [@strings]);
    };
}

for my $file (@ARGV) {
    my $verifier = Mail::DKIM::Verifier->new();
    open(my $message, '<:raw', $file) or die "$file: $!";
    local $/ = \65536;
    while (my $chunk = <$message>) {
        $verifier->PRINT($chunk);
    }
    close($message);
    $verifier->CLOSE;
    for my $signature ($verifier->signatures) {
        print join("\t", $file, $signature->selector, $signature->result_detail), "\n";
    }
}
