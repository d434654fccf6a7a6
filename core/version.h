/* core/version.h - the one place that says which version this is. */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

#define PIXELVAULT_VERSION "0.1.0"

#endif
