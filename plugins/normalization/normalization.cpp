#include "normalization/normalization.h"

using namespace normalization;

BP_PLUGIN("org.backplane.normalization", "0.1.0", "MIT", "normalisation", bp::layers<BatchNorm, LayerNorm>,
          bp::activations<>)
