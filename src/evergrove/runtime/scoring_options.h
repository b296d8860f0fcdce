// scoring_options(): how data is to be opened so that a model sees its categories as in training.
//
// A CSV does not say what a column is, and a few of its rows may not show it: codes such as 0012
// and A7 are text, but a day without an A7 looks like numbers, of which 0012 is 12 and no category
// that the model knows. The model's own names tell which it was: no number is called 0012.
//
//   source::open(paths, scoring_options(model));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evergrove/model/model.h"
#include "evergrove/source/open.h"

namespace evergrove::runtime {

source::OpenOptions scoring_options(const model::Model& model);

}  // namespace evergrove::runtime
