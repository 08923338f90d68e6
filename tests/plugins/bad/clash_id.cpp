// A plug-in that takes the id of a built-in one.
#include "valid.h"

BP_SPOILED("org.backplane.dense", static_cast<void>(tables))
