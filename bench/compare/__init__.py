"""Quality and speed beside LightGBM, XGBoost, CatBoost and YDF, all settings in settings.py."""
