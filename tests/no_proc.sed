# What AddressSanitizer says at every start where there is no /proc, as in a plain chroot: no part of a program's output.
/^==[0-9]*==WARNING: reading executable name failed/d
