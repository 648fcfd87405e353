UPDATE ledger.log_entry SET entry = convert_to(replace(convert_from(entry, 'UTF8'), '"to":"off"', '"to":"on"'), 'UTF8')
WHERE position = 5;
