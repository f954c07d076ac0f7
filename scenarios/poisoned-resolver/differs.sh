#!/bin/sh
# Does the cache say something else than the name server that knows?
told=$(dig +short +time=1 +tries=1 @10.20.0.53 shop.example A) || exit 1
right=$(dig +short +time=1 +tries=1 @10.20.0.54 shop.example A) || exit 1
[ -n "$told" ] && [ -n "$right" ] && [ "$told" != "$right" ] && echo "told $told, right is $right"
