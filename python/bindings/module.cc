// evergrove._core: what the Python package evergrove calls. The package shapes arguments and
// results; whatever computes is behind these functions. python/evergrove/_core.pyi has the types.
// SPDX-License-Identifier: Apache-2.0
#include "module.h"

NB_MODULE(_core, module) {
  using namespace evergrove::bindings;
  module.attr("__version__") = EVERGROVE_VERSION;
  module.attr("ARROW_SOVERSION") = EVERGROVE_ARROW_SOVERSION;
  init_source(module);
  init_model(module);
  init_train(module);
  init_cluster(module);
}
