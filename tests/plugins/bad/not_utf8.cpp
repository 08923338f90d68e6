// Texts that are Latin-1 or hold escapes: readable all the same.
#include "valid.h"

BP_SPOILED("test.not_utf8", tables.plugin.summary = "caf\xe9 \x1b[31mred"; tables.layer.summary = "na\xefve";
           tables.attribute.summary = "\x1b]0;title\a"; tables.parameter.summary = "\xff")
