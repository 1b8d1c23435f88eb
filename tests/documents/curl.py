"""A `curl` for the machine that has none: it knows the options that the documents print, and no others.

As curl does, it prints the body of any response and ends with 0, whatever the status.
"""

import argparse
import sys
import urllib.error
import urllib.request

PARSER = argparse.ArgumentParser(prog="curl")
PARSER.add_argument("-s", action="store_true")
PARSER.add_argument("-S", action="store_true")
PARSER.add_argument("-X", dest="method")
PARSER.add_argument("-H", dest="headers", action="append", default=[])
PARSER.add_argument("-d", dest="data")
PARSER.add_argument("url")


def main() -> None:
    """Make the request and print the response's body."""
    args = PARSER.parse_args()
    headers = dict(header.split(": ", 1) for header in args.headers)
    data = args.data.encode() if args.data is not None else None
    request = urllib.request.Request(args.url, data, headers, method=args.method)
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=90) as response:
            body = response.read()
    except urllib.error.HTTPError as error:
        with error:
            body = error.read()
    sys.stdout.buffer.write(body)


if __name__ == "__main__":
    main()
