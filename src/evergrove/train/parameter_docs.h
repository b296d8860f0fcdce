// The reference of all parameters as Markdown, made from the table, so that it cannot drift:
// docs/reference/parameters.md is this text, and a test compares the two. To write it anew:
//
//   EVERGROVE_UPDATE_DOCS=1 build/release/src/evergrove/train/train_test --gtest_filter='*Docs*'
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace evergrove::train {

std::string parameter_docs_markdown();

}  // namespace evergrove::train
