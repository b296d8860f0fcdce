// The configuration file of `evergrove train --config FILE.toml`.
//
// Keys are the options' names with _ for -, and a table of parameters:
//
//   data = ["train.parquet"]
//   label = "fraud"
//   valid_fraction = 0.1
//   [parameters]
//   n_estimators = 500
//
// What the command line says goes first; parameters of the file come before those of --set.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "evergrove/cli/train_options.h"

namespace evergrove::cli {

// Reads options.config and fills in what the command line did not say.
Status apply_config_file(TrainOptions& options);

// The same from text, for tests and fuzzing; `name` is for messages.
Status apply_config(std::string_view text, std::string_view name, TrainOptions& options);

}  // namespace evergrove::cli
