#!/bin/sh
# space.sh MB: is there less room than that?
free=$(df --output=avail -B 1048576 disk | tail -n 1)
echo "$free MB free"
[ "$free" -lt "$1" ]
