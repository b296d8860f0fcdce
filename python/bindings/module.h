// What each binding file adds to the module. Sources are opaque to Python: opened here, handed to
// training and scoring.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <memory>

#include "evergrove/table/row_source.h"

namespace evergrove::bindings {

struct Source {
  std::shared_ptr<const table::RowSource> rows;
};

void init_source(nanobind::module_& module);
void init_model(nanobind::module_& module);
void init_train(nanobind::module_& module);
void init_cluster(nanobind::module_& module);

}  // namespace evergrove::bindings
