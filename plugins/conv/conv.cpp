// Convolutions and pools of images and sequences: one plug-in.

#include "conv/convolution.h"
#include "conv/pool.h"

BP_PLUGIN("org.backplane.conv", "0.1.0", "MIT", "convolutions and pools of images and sequences",
          bp::layers<conv::Conv2d, conv::Conv1d, conv::ConvTranspose2d, conv::MaxPool2d, conv::AvgPool2d,
                     conv::GlobalAvgPool>,
          bp::activations<>)
