// evergrove._core: what the Python package evergrove calls. The package shapes arguments and
// results; whatever computes is behind these functions. python/evergrove/_core.pyi has the types.
// SPDX-License-Identifier: Apache-2.0
#include "module.h"

NB_MODULE(_core, module) {
  module.attr("__version__") = EVERGROVE_VERSION;
  module.attr("ARROW_SOVERSION") = EVERGROVE_ARROW_SOVERSION;
  evergrove::bindings::init_source(module);
  evergrove::bindings::init_model(module);
  evergrove::bindings::init_train(module);
  evergrove::bindings::init_cluster(module);
}
