// SPDX-License-Identifier: Apache-2.0
#include "evergrove/model/importance.h"

namespace evergrove::model {

std::string_view importance_name(ImportanceKind kind) {
  switch (kind) {
    case ImportanceKind::gain:
      return "gain";
    case ImportanceKind::split:
      return "split";
    case ImportanceKind::cover:
      return "cover";
  }
  return "gain";
}

Result<ImportanceKind> importance_from_name(std::string_view name) {
  for (ImportanceKind kind : {ImportanceKind::gain, ImportanceKind::split, ImportanceKind::cover}) {
    if (importance_name(kind) == name) return kind;
  }
  return invalid_input("The kind of importance must be gain, split or cover",
                       {{"given", std::string(name)}});
}

std::vector<double> importance(const Model& model, ImportanceKind kind) {
  std::vector<double> values(model.features.size(), 0);
  for (const Tree& tree : model.trees) {
    for (const Node& node : tree.nodes) {
      if (node.feature < 0) continue;
      values[node.feature] += kind == ImportanceKind::gain    ? node.gain
                              : kind == ImportanceKind::split ? 1.0
                                                              : static_cast<double>(node.cover);
    }
  }
  return values;
}

}  // namespace evergrove::model
