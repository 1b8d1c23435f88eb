#!/bin/sh
# Verifies this evidence with sh, openssl, coreutils, awk and xxd, and no line of the service that made it.
#   sh verify.sh --key VKEY   VKEY: the log's key as you learnt it elsewhere; any other key is refused
#   sh verify.sh              tells which key the bundle brings: compare it, or the bundle proves nothing
#   --carrier-key KEY         KEY: the carrier's public key as its portal shows it; may be repeated. Without it the
#                             script tells which key signed the carrier's webhooks: compare it
#   --witness VKEY            VKEY: a witness's key; its cosignature is demanded; may be repeated
#   --checkpoint FILE         FILE: a checkpoint that you kept; the bundle has to say that the log continues it
#   --tsa-ca FILE             FILE: certificates (PEM) of those whose timestamps count; verifies the bundle's timestamp
#   --unstated                good (exit status 0) although the log does not say what was asked
#   --open                    good although the end of a verification is missing
#   --bundle DIR              DIR: the evidence, if it is not where this script is
set -u
LC_ALL=C
export LC_ALL
from=$PWD
bundle=$(dirname "$0") || exit 2
key=
witnesses=
tsa_ca=
kept=
unstated=
open=
carrier_keys=
while [ $# -gt 0 ]; do
  case $1 in
    --key) key=${2:?--key needs a verifier key}; shift 2 ;;
    --carrier-key) carrier_keys="$carrier_keys ${2:?--carrier-key needs a key}"; shift 2 ;;
    --witness) witnesses="$witnesses ${2:?--witness needs a verifier key}"; shift 2 ;;
    --bundle) bundle=${2:?--bundle needs a directory}; shift 2 ;;
    --checkpoint) kept=${2:?--checkpoint needs a file}; shift 2 ;;
    --tsa-ca) tsa_ca=${2:?--tsa-ca needs a file}; shift 2 ;;
    --unstated) unstated=1; shift ;;
    --open) open=1; shift ;;
    *) echo 'usage: sh verify.sh [--key VKEY] [--carrier-key KEY] [--witness VKEY] [--checkpoint FILE] [--tsa-ca FILE]' \
         '[--unstated] [--open] [--bundle DIR]' >&2; exit 2 ;;
  esac
done
case $bundle in /*) ;; *) bundle=./$bundle ;; esac
cd "$bundle" || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
refuse() { printf 'REFUSED: %s\n' "$1" >&2; exit 1; }
digest() { sha256sum | cut -c1-64; }
# Whether it is base64 in the one spelling that its bytes have.
is_base64() {
  case $1 in
    '' | *[!A-Za-z0-9+/=]* | *=[!=]* | *===) return 1 ;;
    *[AQgw]== | *[AEIMQUYcgkosw048]= | *[!=]) return 0 ;;
  esac
  return 1
}
# decode TEXT FILE
decode() { is_base64 "$1" && printf '%s' "$1" | base64 -d > "$2" 2> /dev/null; }
bytes() { wc -c < "$1" | tr -d ' '; }
# same FILE FILE: whether both have the same bytes. There is no cmp in the coreutils.
same() {
  one=$(sha256sum < "$1") && other=$(sha256sum < "$2") && [ -n "$one" ] && [ "$one" = "$other" ]
}
# A program that fails answers nothing, and nothing is equal to nothing: so each one shows first that it works.
[ "$(printf abc | digest)" = ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad ] &&
  [ "$(printf YWI= | base64 -d | xxd -p)" = 6162 ] && [ "$(printf 6162 | xxd -r -p)" = ab ] &&
  [ "$(printf 'a b\n' | awk '{ print $2 }')" = b ] || { echo 'sha256sum, base64, xxd or awk does not work here' >&2; exit 2; }

# ---- 1. The files are those that were packed ------------------------------------------------------------------------

# in_portions PROGRAM FILE...: gives it so many at a time as a command has room for; what is no file is passed over.
in_portions() {
  program=$1
  shift
  begun=
  for file in "$@"; do
    if [ -z "$begun" ]; then set --; begun=1; fi
    if [ -f "$file" ]; then set -- "$@" "$file"; fi
    if [ $# = 200 ]; then "$program" "$@" || return 1; set --; fi
  done
  [ -z "$begun" ] || [ $# = 0 ] || "$program" "$@"
}
sums() { sha256sum -- "$@"; }
sizes() { wc -c -- "$@"; }

in_portions sums * policies/* records/* rotations/* webhooks/* > "$work/all_sums" || refuse 'the files cannot be read'
awk 'substr($0, 67) != "SHA256SUMS"' "$work/all_sums" > "$work/sums" || refuse 'the files cannot be read'
[ -s "$work/sums" ] || refuse 'there are no files here'
same "$work/sums" SHA256SUMS || refuse 'the files are not those of SHA256SUMS'

# ---- 2. Keys and signatures: C2SP signed-note, Ed25519 --------------------------------------------------------------

# read_key VKEY KIND DER: NAME+ID+KEY, where KEY itself may hold a plus sign. Sets `key_name` and `key_id`.
read_key() {
  key_name=${1%%+*}
  rest=${1#*+}
  key_id=${rest%%+*}
  decode "${rest#*+}" "$work/key" || refuse "no verifier key: $1"
  if [ "$(bytes "$work/key")" != 33 ] || [ "$(head -c 1 "$work/key" | xxd -p)" != "$2" ]; then
    refuse "no Ed25519 verifier key of this kind: $1"
  fi
  [ "$({ printf '%s\n' "$key_name"; cat "$work/key"; } | digest | cut -c1-8)" = "$key_id" ] || refuse "no verifier key: $1"
  { printf 302a300506032b6570032100 | xxd -r -p; tail -c 32 "$work/key"; } > "$3"
}

# use_key VKEY: a log's key.
use_key() {
  read_key "$1" 01 "$work/key.der"
  name=$key_name
  id=$key_id
}

# Everything before the last empty line is the text, every line behind it a signature.
split_note() {
  : > "$work/text"
  : > "$work/lines"
  awk -v text="$work/text" -v lines="$work/lines" '
    { line[NR] = $0 }
    $0 == "" { last = NR }
    END { for (i = 1; i <= NR; i++) if (i < last) print line[i] > text; else if (i > last) print line[i] > lines }
  ' "$1" || refuse "$1 cannot be read"
}

# candidates_of NAME ID: the signatures of that name and key in the note that was split, a line each.
candidates_of() {
  awk -v name="$1" '$1 == "—" && $2 == name { print $3 }' "$work/lines" > "$work/named" || refuse 'a note cannot be read'
  : > "$work/candidates"
  while read -r candidate; do
    decode "$candidate" "$work/line" || continue
    if [ "$(head -c 4 "$work/line" | xxd -p)" = "$2" ]; then printf '%s\n' "$candidate" >> "$work/candidates"; fi
  done < "$work/named"
}

# size_of NAME: sets `size` to that of the note that was split.
size_of() {
  size=$(awk 'NR == 2' "$work/text")
  case $size in '' | 0?* | *[!0-9]*) refuse "$1 has no size" ;; esac
}

# Whether the key that is in use signed the note that was split.
is_signed() {
  candidates_of "$name" "$id"
  while read -r candidate; do
    decode "$candidate" "$work/line" || continue
    tail -c +5 "$work/line" > "$work/signature"
    openssl pkeyutl -verify -pubin -inkey "$work/key.der" -keyform DER -rawin -in "$work/text" \
      -sigfile "$work/signature" > /dev/null 2>&1 && return 0
  done < "$work/candidates"
  return 1
}

case $(openssl pkeyutl -help 2>&1) in
  *-rawin*) ;;
  *) echo "verify.sh needs OpenSSL 3.0 or later, or it cannot verify Ed25519: here is $(openssl version)" >&2; exit 2 ;;
esac
told=$(cat log.vkey)
[ "$(printf '%s\n' "$told" | digest)" = "$(digest < log.vkey)" ] || refuse 'log.vkey is not one line'
use_key "$told"
trusted=${key:-$told}
use_key "$trusted"
followed=
since=0 # the size from which on the key signs
for file in rotations/*; do
  [ -f "$file" ] || continue
  split_note "$file"
  size_of "$file"
  next=$(awk '/^next-key / { print $2 }' "$work/text")
  if ! is_signed; then
    if [ -n "$followed" ]; then refuse "$file was not signed by the key before it"; fi
    if [ "$next" = "$trusted" ]; then since=$size; fi
    continue # of before the key that is trusted
  fi
  if [ "$size" -lt "$since" ] || [ "$(head -n 1 "$work/text")" != "$name" ]; then
    refuse "$file does not follow from the one before it"
  fi
  since=$size
  before=$name
  use_key "$next"
  [ "$name" = "$before" ] || refuse "$file names the key of another log"
  followed=$file
done
split_note checkpoint
is_signed || refuse 'the checkpoint was not signed by this key'
[ "$(head -n 1 "$work/text")" = "$name" ] || refuse 'the checkpoint is of another log'
size_of checkpoint
[ "$size" -ge "$since" ] || refuse 'the checkpoint was signed by a key before its time'
decode "$(awk 'NR == 3' "$work/text")" "$work/root" || refuse 'the checkpoint has no root'
root=$(xxd -p -c 64 "$work/root")
same_checkpoint=$(sha256sum < checkpoint)

# ---- 3. Each record is in the log: RFC 9162, section 2.1.3.2 ---------------------------------------------------------

# An awk that finds a fault writes the sentence there, and ends with 1.
faulty() { if [ -s "$work/fault" ]; then refuse "$(cat "$work/fault")"; else refuse "$1"; fi; }
: > "$work/fault"

# node LEFT RIGHT: sets `reached` to the hash of both.
node() {
  reached=$(printf '01%s%s' "$1" "$2" | xxd -r -p | sha256sum)
  reached=${reached%% *}
}

# Of each record: name, number, n, verification, person, type, webhook, time and configuration; of a statement also its
# records, the range that was searched, its configurations and its question.
members() {
  awk '
    # Sets `value` to the members of an object, and leaves texts in their quotes.
    function members_of(text,    i, c, depth, begin, name, length_of_it, next_quote) {
      split("", value)
      length_of_it = length(text)
      for (i = 1; i <= length_of_it; i++) {
        c = substr(text, i, 1)
        if (c == "\"") {
          for (i++; (c = substr(text, i, 1)) != "\"" && i <= length_of_it; i++)
            if (c == "\\") i++
            else if ((next_quote = match(substr(text, i, 64), /["\\]/)) > 1) i += next_quote - 2
        }
        else if (c == "{" || c == "[") { depth++; if (depth == 1) begin = i + 1 }
        else if (c == ":" && depth == 1) { name = substr(text, begin, i - begin); begin = i + 1 }
        else if ((c == "," && depth == 1) || ((c == "}" || c == "]") && depth-- == 1)) {
          if (!(name in value)) value[name] = substr(text, begin, i - begin)
          begin = i + 1
        }
      }
    }
    function bare(name,    it) {
      it = "\"" name "\"" in value ? value["\"" name "\""] : "null"
      return it ~ /^".*"$/ ? substr(it, 2, length(it) - 2) : it
    }
    function word(name,    it) { it = bare(name); gsub(/[ \t]/, "_", it); return it == "" ? "_" : it }
    function tell(    line) {
      sub(/^records\//, "", its_name)
      sub(/\.leaf$/, "", its_name)
      members_of(whole)
      line = its_name " " word("seq") " " word("n") " " word("verification_id") " " word("person") " " word("type") " " \
        word("webhook") " " word("at") " " word("policy")
      if (its_name == "statement") {
        members_of("\"detail\"" in value ? value["\"detail\""] : "{}")
        line = line " " word("records") " " word("searched") " " word("configurations") " " bare("question")
      }
      print line
    }
    FNR == 1 { if (NR > 1) tell(); whole = ""; its_name = FILENAME }
    { whole = whole $0 }
    END { if (NR) tell() }
  ' "$@"
}

# Of each proof: name, its bytes, index and hashes in hexadecimal. Behind an empty line it has the checkpoint.
proofs() {
  awk -v fault="$work/fault" '
    function refuse(sentence) { print its_name " " sentence > fault; failed = 1; exit 1 }
    function decoded(text,    i, number, hexadecimal) {
      if (text in known) return known[text]
      if (length(text) != 44 || substr(text, 44) != "=") return ""
      for (i = 1; i <= 44; i += 4) {
        if (!(substr(text, i, 1) in at && substr(text, i + 1, 1) in at && substr(text, i + 2, 1) in at)) return ""
        number = (at[substr(text, i, 1)] * 64 + at[substr(text, i + 1, 1)]) * 64 + at[substr(text, i + 2, 1)]
        if (i == 41) { if (number % 4) return ""; hexadecimal = hexadecimal sprintf("%04x", number / 4) }
        else if (!(substr(text, i + 3, 1) in at)) return ""
        else hexadecimal = hexadecimal sprintf("%06x", number * 64 + at[substr(text, i + 3, 1)])
      }
      return known[text] = hexadecimal
    }
    function tell(    its) {
      if (its_name == "checkpoint") return
      if (!behind || lines != expected_lines) refuse("has another checkpoint than the bundle")
      its = its_name
      sub(/^records\//, "", its)
      sub(/\.tlog-proof$/, "", its)
      print its, bytes, place hashes
    }
    BEGIN {
      alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
      for (i = 1; i <= 64; i++) at[substr(alphabet, i, 1)] = i - 1
    }
    FNR == 1 { if (NR > 1) tell(); its_name = FILENAME; behind = bytes = lines = 0; hashes = "" }
    its_name == "checkpoint" { expected[++expected_lines] = $0; next }
    { bytes += length($0) + 1 }
    behind { if ($0 "" != expected[++lines] "") refuse("has another checkpoint than the bundle"); next }
    FNR == 1 { if ($0 != "c2sp.org/tlog-proof@v1") refuse("is no proof"); next }
    FNR == 2 { if ($0 !~ /^index (0|[1-9][0-9]*)$/) refuse("is no proof"); place = $2; next }
    $0 == "" { behind = 1; next }
    { if ((hash = decoded($0)) == "") refuse("has a hash that cannot be read"); hashes = hashes " " hash }
    END { if (!failed && NR) tell() }
  ' checkpoint "$@"
}

# hashes_of FILE: of nodes in hexadecimal, a line each, all of 65 bytes.
hashes_of() {
  rm -rf "$work/nodes"
  mkdir "$work/nodes" && xxd -r -p "$1" > "$work/binary" && split -a 4 -b 65 "$work/binary" "$work/nodes/" &&
    in_portions sums "$work/nodes"/*
}

# Every record goes up the tree at the same time, a node in each step: so a step takes few programs, however many records
# there are, and a node that several records share is hashed once. A line of `state` is a record on its way: its name, its
# place on this level, the last place there, the number of its hash among `hashes`, and the rest of its path.
climb() {
  while [ -s "$work/state" ]; do
    : > "$work/nodes_of_step"
    awk -v root="$root" -v nodes="$work/nodes_of_step" -v proved="$work/proved_in_step" -v fault="$work/fault" '
      function refuse(sentence) { print sentence > fault; failed = 1; exit 1 }
      function file_of(name, kind) { return (name == "statement" ? name : "records/" name) kind }
      NR == FNR { hash[FNR] = $1; next }
      {
        if (!($4 in hash) || length(hash[$4]) != 64) refuse("sha256sum failed: " file_of($1, ".leaf") " is not proved")
        reached = hash[$4]
        if (NF == 4) {
          if ($3 != 0 || reached "" != root "") refuse(file_of($1, ".leaf") " is not in the log as it was signed")
          print $1 > proved
          next
        }
        if ($3 == 0) refuse(file_of($1, ".tlog-proof") " has too many hashes")
        place = $2 + 0; last = $3 + 0
        if (place % 2 == 1 || place == last) {
          pair = $5 reached
          while (place % 2 == 0 && place != 0) { place /= 2; last = int(last / 2) }
        } else pair = reached $5
        if (!(pair in number)) { number[pair] = ++count; print "01" pair > nodes }
        print $1, int(place / 2), int(last / 2), number[pair] substr($0, length($1 $2 $3 $4 $5) + 5)
      }
    ' "$work/hashes" "$work/state" > "$work/next_state" || return 1
    if [ -f "$work/proved_in_step" ]; then cat "$work/proved_in_step" >> "$work/proved"; rm "$work/proved_in_step"; fi
    cat "$work/next_state" > "$work/state"
    if [ -s "$work/state" ]; then hashes_of "$work/nodes_of_step" > "$work/hashes" || return 1; fi
  done
}

# Hexadecimal digits and the end of the line.
hexadecimal() {
  awk -v fault="$work/fault" '
    FNR > 1 || $0 !~ /^[0-9a-f]+$/ || length($0) % 2 { print FILENAME " is not hexadecimal" > fault; exit 1 }
    { print length($0) + 1, FILENAME }
  ' "$@"
}

# require_sizes FILE: lines of it have sizes and names. No file may have more than was read of it.
require_sizes() {
  awk '$2 != "total" { print $1, $2 }' "$work/sizes" > "$work/true_sizes" && same "$1" "$work/true_sizes"
}

# use_carrier_keys KEYS: each as the carrier shows it, base64 of 32 bytes.
use_carrier_keys() {
  for carrier_key in $1; do
    decode "$carrier_key" "$work/key" || refuse "no key of the carrier: $carrier_key"
    [ "$(bytes "$work/key")" = 32 ] || refuse "no key of the carrier: $carrier_key"
    carriers=$((carriers + 1))
    { printf 302a300506032b6570032100 | xxd -r -p; cat "$work/key"; } > "$work/carrier.$carriers"
  done
}

# webhook_of NAME COMMITMENT: what the carrier signed has to be what the record commits to; 1 if nothing is there.
webhook_of() {
  webhook=webhooks/$1
  if [ ! -f "$webhook.signed" ] && [ ! -f "$webhook.signature" ] && [ ! -f "$webhook.salt" ]; then return 1; fi
  for file in "$webhook.salt" "$webhook.signature"; do
    if [ ! -f "$file" ] || ! hexadecimal "$file" > "$work/digits" || [ "$(bytes "$file") $file" != "$(cat "$work/digits")" ]
    then refuse "$file is not hexadecimal"; fi
  done
  found=$({ xxd -r -p "$webhook.salt"; cat "$webhook.signed"; } | digest)
  [ "$2" = "sha256:$found" ] || refuse "$webhook.signed is not what the record commits to"
  xxd -r -p "$webhook.signature" > "$work/signature"
  number=0
  while [ "$number" -lt "$carriers" ]; do
    number=$((number + 1))
    openssl pkeyutl -verify -pubin -inkey "$work/carrier.$number" -keyform DER -rawin -in "$webhook.signed" \
      -sigfile "$work/signature" > /dev/null 2>&1 && return 0
  done
  refuse "$webhook.signed was not signed by the carrier's key"
}

brought=
carriers=0
if [ -f carrier.keys ]; then brought=$(cat carrier.keys); fi
use_carrier_keys "${carrier_keys:-$brought}"

# The bytes that are hashed: of a record with a zero byte before it, of what is disclosed with its salt.
mkdir "$work/leaves" "$work/salted" || exit 2
printf '\000' > "$work/zero"
for leaf in records/*.leaf statement.leaf; do
  [ -f "$leaf" ] || continue
  name_of=${leaf%.leaf}
  bare_name=${name_of#records/}
  case $leaf in records/*[!0-9]*.leaf | records/.leaf) refuse "$leaf has the name of another record" ;; esac
  [ -f "$name_of.tlog-proof" ] || refuse "$name_of.tlog-proof is no proof"
  cat "$work/zero" "$leaf" > "$work/leaves/$bare_name" || refuse "$leaf cannot be read"
  if [ ! -f "$name_of.person" ] && [ ! -f "$name_of.salt" ]; then continue; fi
  [ -f "$name_of.salt" ] || refuse "$name_of.salt is not hexadecimal"
  [ -f "$name_of.person" ] || refuse "$name_of.person is not what the record commits to"
  { xxd -r -p "$name_of.salt" && cat "$name_of.person"; } > "$work/salted/$bare_name" || refuse "$leaf cannot be read"
done

in_portions proofs records/*.tlog-proof statement.tlog-proof > "$work/proofs" || faulty 'the proofs cannot be read'
in_portions sizes records/*.tlog-proof statement.tlog-proof > "$work/sizes" || refuse 'the proofs cannot be read'
awk '{ print $2, ($1 == "statement" ? "" : "records/") $1 ".tlog-proof" }' "$work/proofs" > "$work/read_sizes" &&
  require_sizes "$work/read_sizes" || refuse 'a proof has another checkpoint than the bundle'
in_portions hexadecimal records/*.salt statement.salt > "$work/read_sizes" || faulty 'the salts cannot be read'
in_portions sizes records/*.salt statement.salt > "$work/sizes" || refuse 'the salts cannot be read'
require_sizes "$work/read_sizes" || refuse 'a salt is not hexadecimal'
in_portions members records/*.leaf statement.leaf > "$work/members" || refuse 'the records cannot be read'
in_portions sums "$work/leaves"/* > "$work/hashes" || refuse 'the records cannot be read'
in_portions sums "$work/salted"/* > "$work/commitments" || refuse 'what is disclosed cannot be read'

case $size in ????????????????*) refuse 'the checkpoint has a size that nothing here can count' ;; esac
: > "$work/proved"
awk -v size="$size" -v fault="$work/fault" '
  function refuse(sentence) { print sentence > fault; failed = 1; exit 1 }
  NR == FNR { name = $0; sub(/^.*\//, "", name); number_of[name] = FNR; next }
  !($1 in number_of) { refuse($1 ".tlog-proof belongs to no record") }
  $3 + 0 >= size + 0 { refuse($1 ".tlog-proof is of another tree") }
  { print $1, $3, size - 1, number_of[$1] substr($0, length($1 $2 $3) + 3) }
' "$work/hashes" "$work/proofs" > "$work/state" || faulty 'awk failed: no record is proved'
climb || faulty 'a program failed: the records are not proved'

# Each record is proved once, has the number and the name that it says, and commits to what is disclosed of it.
awk -v fault="$work/fault" -v statement="$work/told_by_statement" -v disclosed="$work/disclosed" '
  function refuse(sentence) { print sentence > fault; failed = 1; exit 1 }
  FILENAME ~ /\/proved$/ { proved[$1] = 1; next }
  FILENAME ~ /\/proofs$/ { place[$1] = $3; next }
  FILENAME ~ /\/commitments$/ { name = $0; sub(/^.*\//, "", name); found[name] = $1; next }
  {
    name = $1 == "statement" ? $1 : "records/" $1
    if (!($1 in proved)) refuse(name ".leaf is not in the log as it was signed")
    if (place[$1] + 1 "" != $2 "") {
      refuse(($1 == "statement" ? "the statement" : name ".leaf") " stands elsewhere in the log than it says")
    }
    if ($1 != "statement" && $1 "" != sprintf("%09d", $2)) refuse(name ".leaf has the name of another record")
    if ($1 in found && $5 != "sha256:" found[$1]) refuse(name ".person is not what the record commits to")
    rest = substr($0, length($1) + 2)
    if ($1 == "statement") { print rest > statement; next }
    if ($1 in found) disclosures++
    print rest
  }
  END { if (!failed) print disclosures + 0 > disclosed }
' "$work/proved" "$work/proofs" "$work/commitments" "$work/members" > "$work/records" ||
  faulty 'awk failed: no record is proved'
disclosed=$(cat "$work/disclosed") || refuse 'awk failed: no record is proved'
set -- records/*.leaf
if [ ! -f "$1" ]; then shift; fi
count=$#
[ "$(wc -l < "$work/records" | tr -d ' ')" = "$count" ] || refuse 'some records are not proved'

webhooks=0
named_webhooks=0
: > "$work/missing_webhooks"
printf '%s\n' webhooks/* | awk '
  NR == FNR { sub(/^webhooks\//, ""); sub(/\.[a-z]*$/, ""); there[$0] = 1; next }
  $6 != "null" || (sprintf("%09d", $1) in there) { print $1, sprintf("%09d", $1), $6 }
' - "$work/records" > "$work/named_webhooks" || refuse 'awk failed: no webhook is verified'
while read -r seq bare_name commitment; do
  if webhook_of "$bare_name" "$commitment"; then
    webhooks=$((webhooks + 1))
  elif [ "$commitment" != null ]; then
    printf '%s\n' "$seq" >> "$work/missing_webhooks"
  fi
  if [ "$commitment" != null ]; then named_webhooks=$((named_webhooks + 1)); fi
done < "$work/named_webhooks"

for file in records/*; do
  [ -f "$file" ] || continue
  case $file in *.leaf | *.tlog-proof | *.person | *.salt) ;; *) refuse "$file belongs to no record" ;; esac
  [ -f "${file%.*}.leaf" ] || refuse "$file belongs to no record"
done
for file in webhooks/*; do
  [ -f "$file" ] || continue
  name_of=${file#webhooks/}
  case $file in *.signed | *.signature | *.salt) ;; *) refuse "$file belongs to no record" ;; esac
  [ -f "records/${name_of%.*}.leaf" ] || refuse "$file belongs to no record"
done

# Each configuration has the hash by which a record names it; a record may name the first 16 digits alone.
awk -v fault="$work/fault" -v missing="$work/missing_policies" '
  function refuse(sentence) { print sentence > fault; failed = 1; exit 1 }
  FILENAME ~ /\/sums$/ {
    if (substr($0, 67, 9) != "policies/") next
    hash = substr($0, 1, 64)
    if (substr($0, 67) != "policies/" hash ".json") refuse(substr($0, 67) " has not the hash by which records name it")
    there[++count] = hash
    named["sha256:" hash] = named["sha256:" substr(hash, 1, 16)] = 1
    next
  }
  $8 != "null" { wanted[$8] = 1 }
  END {
    if (failed) exit 1
    for (i = 1; i <= count; i++) {
      if (!("sha256:" there[i] in wanted) && !("sha256:" substr(there[i], 1, 16) in wanted)) {
        refuse("policies/" there[i] ".json belongs to no record")
      }
      print there[i]
    }
    for (one in wanted) if (!(one in named)) print one > missing
  }
' "$work/sums" "$work/records" > "$work/policies" || faulty 'awk failed: no configuration is verified'
policies=$(wc -l < "$work/policies" | tr -d ' ')
[ "$(awk 'substr($0, 67, 9) == "policies/"' "$work/sums" | wc -l | tr -d ' ')" = "$policies" ] ||
  refuse 'awk failed: no configuration is verified'

# ---- 4. None was left out --------------------------------------------------------------------------------------------

question=
asked_at=
asked_as=
searched=
# is_moment TEXT: a time as records have it.
is_moment() {
  case $1 in
    [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z) return 0 ;;
  esac
  return 1
}

# require_past from TIME to TIME: what was asked about had passed. Such times sort as they follow one another.
require_past() {
  if [ $# != 4 ] || [ "$3" != to ] || ! is_moment "$2" || ! is_moment "$4"; then
    refuse 'the statement does not say about which time was asked'
  fi
  latest=$(printf '%s\n' "$4" "$asked_at" | sort | tail -n 1)
  [ "$latest" = "$asked_at" ] || refuse "it was asked at $asked_at about a time until $4, which had not passed"
}

if [ -f statement.leaf ]; then
  [ -s "$work/told_by_statement" ] || refuse 'the statement cannot be read'
  told_of=$(cat "$work/told_by_statement")
  set -f
  set -- $told_of
  set +f
  [ "$5" = evidence.made ] || refuse 'the statement is no record of evidence that was made'
  asked_as=$1
  asked_at=$7
  is_moment "$asked_at" || refuse 'the statement does not say when it was asked'
  printf '%s\n' "$9" > "$work/stated"
  shift 9
  case $1 in
    null) ;;
    1-0* | 1-*[!0-9]* | 1- | 1-????????????????*) refuse 'the statement does not say which records were searched' ;;
    1-?*) searched=${1#1-} ;;
    *) refuse 'the statement does not say which records were searched' ;;
  esac
  if [ -n "$searched" ] && [ "$searched" -ge "$asked_as" ]; then
    refuse 'the statement does not say which records were searched'
  fi
  if [ "$2" != null ] && [ "$2" != "sha256:$(digest < "$work/policies")" ]; then
    refuse 'the configurations are not those that the log says belong here'
  fi
  shift 2
  question=$*
  case $question in '' | null | *[!\ -~]*) refuse 'the statement does not say what was asked' ;; esac
  case $question in from\ *) require_past "$@" ;; esac
  if [ -f statement.person ]; then question="$question $(tr -cd '[:print:]' < statement.person)"; fi
else
  : > "$work/stated"
fi
# The last line is `whole`, so that an awk that ends early judges nothing.
missing=$(awk -v stated="$work/stated" -v asked="$asked_as" -v searched="$searched" '
  { there[$1] = 1; if ($2 != "null" && $3 != "null") { seen[$3, $2] = 1; if ($2 > last[$3]) last[$3] = $2 } }
  END {
    if (asked != "") {
      if ((getline line < stated) <= 0) { print "the statement cannot be read"; exit }
      parts = split(line, part, ",")
      for (i = 1; i <= parts; i++) {
        two = split(part[i], bound, "-")
        for (number = bound[1]; number <= bound[two]; number++) {
          belongs[number + 0] = 1
          if (!((number + 0) in there)) { print "record " number " was left out: the log says that it belongs here"; exit }
        }
      }
      for (number in belongs)
        if (searched != "" && number + 0 > searched + 0) {
          print "record " number " belongs to the answer, and stands behind the records that were searched"
          exit
        }
      for (number in there)
        if (!(number in belongs)) { print "record " number " is not of those that the log says belong here"; exit }
    }
    for (one in last)
      for (number = 1; number < last[one]; number++)
        if (!((one, number) in seen)) { print "event " number " of " one " was left out: there are later ones"; exit }
    print "whole"
  }
' "$work/records") || refuse 'awk failed: nothing shows that no record was left out'
[ "$missing" = whole ] || refuse "${missing:-nothing shows that no record was left out}"

# Every code ends by itself, and its end is an event: after 15 minutes it is on record. What was asked about a time may
# begin or end within a verification.
: > "$work/unended"
: > "$work/open"
case $question in
  '' | verification\ * | number*)
    judged=$(awk -v asked="$asked_at" -v to="$work/open" '
      function seconds(time,    year, month) {
        year = substr(time, 1, 4) + 0
        month = substr(time, 6, 2) + 0
        if (month <= 2) { year--; month += 12 }
        return 86400 * (365 * year + int(year / 4) - int(year / 100) + int(year / 400) + int((153 * month - 457) / 5) + \
          substr(time, 9, 2)) + 3600 * substr(time, 12, 2) + 60 * substr(time, 15, 2) + substr(time, 18, 6)
      }
      $2 != "null" && $3 != "null" {
        if (!($3 in first) || $2 + 0 < first[$3]) { first[$3] = $2 + 0; began[$3] = seconds($7) }
        if ($5 ~ /^verification\.(approved|exhausted|expired|canceled|denied)$/) ended[$3] = 1
      }
      END {
        for (one in began)
          if (!(one in ended) && (asked == "" || began[one] + 900 <= seconds(asked))) print one > to
        print "whole"
      }
    ' "$work/records") || refuse 'awk failed: nothing shows that no end was left out'
    [ "$judged" = whole ] || refuse 'nothing shows that no end was left out'
    sort "$work/open" > "$work/unended" || refuse 'sort failed' ;;
esac
if [ -s "$work/unended" ] && [ -n "$question" ] && [ -z "$open" ]; then
  refuse "the end of $(head -n 1 "$work/unended") was left out, or it never came"
fi

# ---- 5. The log continues what was kept, and what somebody else stamped: RFC 9162, section 2.1.4.2; RFC 3161 ----------

# continues SIZE ROOT PROOF NAME: the log of that size and root is the beginning of the one of the checkpoint.
continues() {
  case $1 in '' | 0* | *[!0-9]*) refuse "$4 has no size" ;; esac
  [ "$1" -le "$size" ] || refuse "$4 is of a longer log"
  old=
  if [ $(($1 & ($1 - 1))) = 0 ]; then old=$2; fi
  if [ "$1" = "$size" ]; then old=$2; fi
  new=$old
  at=$(($1 - 1))
  last=$((size - 1))
  while [ $((at & 1)) = 1 ]; do at=$((at >> 1)) last=$((last >> 1)); done
  if [ "$1" = "$size" ]; then last=0; fi
  while read -r line; do
    is_base64 "$line" || refuse "$3 has a hash that cannot be read"
    sibling=$(printf '%s' "$line" | base64 -d | xxd -p -c 64)
    if [ -z "$old" ]; then old=$sibling new=$sibling; continue; fi
    [ "$last" != 0 ] || refuse "$3 has too many hashes"
    if [ $((at & 1)) = 1 ] || [ "$at" = "$last" ]; then
      node "$sibling" "$old"
      old=$reached
      node "$sibling" "$new"
      new=$reached
      while [ $((at & 1)) = 0 ] && [ "$at" != 0 ]; do at=$((at >> 1)) last=$((last >> 1)); done
    else
      node "$new" "$sibling"
      new=$reached
    fi
    at=$((at >> 1)) last=$((last >> 1))
  done < "$3"
  if [ "$last" != 0 ] || [ "$old" != "$2" ] || [ "$new" != "$root" ]; then
    refuse "the log does not continue $4"
  fi
}

# older NAME: the log continues the checkpoint of that name, if it is there; sets `older_size`, empty without one.
older() {
  older_size=
  if [ ! -f "$1.checkpoint" ] && [ ! -f "$1.proof" ]; then return; fi
  if [ ! -f "$1.checkpoint" ] || [ ! -f "$1.proof" ]; then refuse "a file beside $1.checkpoint is missing"; fi
  split_note "$1.checkpoint"
  [ "$(head -n 1 "$work/text")" = "$name" ] || refuse "$1.checkpoint is of another log"
  older_size=$(awk 'NR == 2' "$work/text")
  decode "$(awk 'NR == 3' "$work/text")" "$work/older_root" || refuse "$1.checkpoint has no root"
  continues "$older_size" "$(xxd -p -c 64 "$work/older_root")" "$1.proof" "$1.checkpoint"
}

older kept
continued=$older_size
if [ -n "$kept" ]; then
  [ -n "$continued" ] || refuse 'the bundle does not say that the log continues the checkpoint that you kept'
  case $kept in /*) ;; *) kept=$from/$kept ;; esac
  split_note "$kept"
  cat "$work/text" > "$work/kept"
  split_note kept.checkpoint
  same "$work/text" "$work/kept" || refuse 'kept.checkpoint is not the checkpoint that you kept'
fi
older timestamp
stamped=$older_size
if [ -n "$stamped" ] && [ ! -f timestamp.tsr ]; then refuse 'a file beside timestamp.checkpoint is missing'; fi
if [ -z "$stamped" ] && [ -f timestamp.tsr ]; then refuse 'a file beside timestamp.tsr is missing'; fi
if [ -n "$tsa_ca" ]; then
  [ -n "$stamped" ] || refuse 'there is no timestamp in the bundle'
  case $tsa_ca in /*) ;; *) tsa_ca=$from/$tsa_ca ;; esac
  openssl ts -verify -data timestamp.checkpoint -in timestamp.tsr -CAfile "$tsa_ca" > /dev/null 2>&1 ||
    refuse 'the timestamp is not good'
fi

# ---- 6. Witnesses saw the same checkpoint: C2SP tlog-cosignature ------------------------------------------------------

# cosigned VKEY: the witness signed this checkpoint, and every signature of its name and key is good.
cosigned() {
  read_key "$1" 04 "$work/witness.der"
  candidates_of "$key_name" "$key_id"
  [ -s "$work/candidates" ] || refuse "there is no cosignature of $key_name"
  while read -r candidate; do
    decode "$candidate" "$work/line" || refuse "a cosignature of $key_name is not good"
    stamp=$(tail -c +5 "$work/line" | head -c 8 | xxd -p)
    case $stamp in [0-7]???????????????) ;; *) refuse "a cosignature of $key_name is not good" ;; esac
    tail -c +13 "$work/line" > "$work/signature"
    seconds=$((0x$stamp))
    { printf 'cosignature/v1\ntime %s\n' "$seconds"; cat "$work/text"; } > "$work/cosigned"
    [ "$seconds" != 0 ] && openssl pkeyutl -verify -pubin -inkey "$work/witness.der" -keyform DER -rawin \
      -in "$work/cosigned" -sigfile "$work/signature" > /dev/null 2>&1 || refuse "a cosignature of $key_name is not good"
  done < "$work/candidates"
  printf '%s\n' "$key_name" >> "$work/cosigned_by"
}

: > "$work/cosigned_by"
split_note checkpoint
for witness in $witnesses; do cosigned "$witness"; done
awk -v known="$work/cosigned_by" -v origin="$name" '
  BEGIN { while ((getline line < known) > 0) verified[line] = 1 }
  $1 == "—" && $2 != origin && !($2 in verified) && !($2 in told) { told[$2] = 1; print $2 }
' "$work/lines" > "$work/unverified" || refuse 'the checkpoint cannot be read'

# ---- What was found --------------------------------------------------------------------------------------------------

printf 'VERIFIED: %s records of %s, under a checkpoint of %s records\n' "$count" "$name" "$size"
printf 'disclosed: %s; Ed25519 by %s\n' "$disclosed" "$(openssl version)"
if [ -n "$question" ]; then
  printf 'question: %s\n' "$question"
  printf 'asked: %s, record %s: it says nothing of later records\n' "$asked_at" "$asked_as"
  if [ -n "$searched" ]; then
    printf 'complete: records 1 to %s of the log, as record %s says; nothing after record %s is claimed\n' \
      "$searched" "$asked_as" "$searched"
  else
    printf 'complete: up to record %s, as that record says; nothing after it is claimed\n' "$asked_as"
  fi
else
  echo 'The log does not say what was asked, nor which records belong here: only gaps within a verification would be seen.'
  echo 'complete: each verification up to its last event here; nothing after that is claimed'
  awk '
    $2 == "null" || $3 == "null" { next }
    !($3 in n) { order[++count] = $3 }
    $2 + 0 > n[$3] + 0 { n[$3] = $2; record[$3] = $1 }
    END {
      for (i = 1; i <= count && i <= 20; i++)
        print "  the last event of " order[i] " here is event " n[order[i]] ", record " record[order[i]]
      if (count > 20) print "  the same goes for " count - 20 " other verifications"
    }
  ' "$work/records" || refuse 'awk failed'
fi
if [ -z "$key" ]; then
  printf 'The bundle brings its own key, which proves nothing: compare it with one that you learnt elsewhere.\n'
  printf '  key: %s\n  SHA-256: %s\n' "$trusted" "$(printf '%s' "$trusted" | digest)"
fi
if [ -n "$kept" ]; then
  printf 'kept: the log continues the checkpoint of %s records that you kept\n' "$continued"
elif [ -n "$continued" ]; then
  printf 'The log continues a checkpoint of %s records: compare it with yours by --checkpoint FILE.\n' "$continued"
fi
if [ -n "$tsa_ca" ]; then
  stamped_at=$(openssl ts -reply -in timestamp.tsr -text 2> /dev/null | awk 'sub(/^Time stamp: /, "")')
  printf 'timestamp: the first %s records were there on %s\n' "$stamped" "$stamped_at"
elif [ -n "$stamped" ]; then
  printf 'There is a timestamp of the first %s records: verify it with --tsa-ca FILE.\n' "$stamped"
fi
while read -r line; do printf 'cosigned: by %s\n' "$line"; done < "$work/cosigned_by"
if [ -s "$work/unverified" ]; then
  printf 'cosignatures: unverified names:%s (verify with --witness VKEY)\n' \
    "$(while read -r line; do printf ' %s' "$line"; done < "$work/unverified" | tr -cd '[:print:]')"
fi
while read -r line; do printf 'The end of %s is missing.\n' "$line"; done < "$work/unended"
if [ "$policies" != 0 ]; then
  printf 'configurations: %s, each with the hash by which records name it\n' "$policies"
fi
if [ -f "$work/missing_policies" ]; then
  sort "$work/missing_policies" | while read -r line; do printf '  missing: the configuration %s\n' "$line"; done
fi
if [ "$named_webhooks" != 0 ]; then
  printf 'webhooks: %s of %s that the records name, as the carrier signed them\n' "$webhooks" "$named_webhooks"
  if [ -s "$work/missing_webhooks" ]; then
    printf '  missing: of records %s\n' "$(awk '{ printf "%s%s", (NR > 1 ? ", " : ""), $1 }' "$work/missing_webhooks")"
  fi
  if [ "$webhooks" != 0 ] && [ -z "$carrier_keys" ]; then
    printf "The bundle brings the carrier's key: compare it with the one that the carrier shows.\n"
    for carrier_key in $brought; do
      printf '  carrier key: %s\n  SHA-256: %s\n' "$carrier_key" "$(printf '%s' "$carrier_key" | digest)"
    done
  fi
fi
if [ -z "$question" ] && [ -z "$unstated" ]; then
  echo 'UNSTATED: this may be less than the answer (see --unstated)' >&2
  exit 1
fi
